"""A model that is loaded once, by the template, and shared by all workers."""

import os
from array import array

from fastapi import FastAPI

# Placeholder for the weights of a model: 64 MB that are only read
WEIGHTS = array("d", bytes(64_000_000))

app = FastAPI()


@app.get("/predict")
def predict(position: int = 0) -> dict[str, float]:
    return {"worker": os.getpid(), "value": WEIGHTS[position]}
