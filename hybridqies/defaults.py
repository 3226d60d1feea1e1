"""What is used where nobody says otherwise; every default that more than one place needs, once."""

from __future__ import annotations

DATA = "sms_spam"
ENCODER = "all-MiniLM-L6-v2"
HEAD = "two-module"
BACKEND = "statevector"
COMPARE = ("logistic", "svc", "mlp", "matched-mlp")
