"""What is used where nobody says otherwise; every default that more than one place needs, once."""

from __future__ import annotations

DATA = "sms_spam"
ENCODER = "all-MiniLM-L6-v2"
HEAD = "two-module"
BACKEND = "statevector"
# The column `text_pair` where there is one.
PAIR_COLUMN = "auto"
COMPARE = ("logistic", "svc", "mlp", "matched-mlp")
