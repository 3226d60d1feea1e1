"""Statistics of studies, from arrays alone: intervals, paired tests, corrections, designs, effects."""
