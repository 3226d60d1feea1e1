"""A run as a web service. Start it with: RUN=runs/reviews uvicorn serve:app."""

import os
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import Field, StringConstraints

from hybridqies import HybridClassifier

Text = Annotated[str, StringConstraints(max_length=10_000, pattern=r"\S")]
Texts = Annotated[list[Text], Field(min_length=1, max_length=256)]
app = FastAPI()
model = HybridClassifier.from_pretrained(os.environ["RUN"])


@app.post("/predict")
async def predict(texts: Texts) -> list[dict[str, Any]]:
    """Label and probabilities of each text."""
    classes = [str(each) for each in model.classes_]
    rows = [dict(zip(classes, row, strict=True)) for row in model.predict_proba(texts).tolist()]
    labels = [max(row, key=row.__getitem__) for row in rows]
    return [{"label": label, "probabilities": row} for label, row in zip(labels, rows, strict=True)]
