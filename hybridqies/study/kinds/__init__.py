"""The kinds of studies: what each plans, and what it makes of the records."""
