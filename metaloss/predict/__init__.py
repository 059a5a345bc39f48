"""Predictions of a finished run for data of your own."""

from metaloss.experiments.records.finished import Choice
from metaloss.predict.chunks import Skipped
from metaloss.predict.network import RunNetwork, read_network
from metaloss.predict.predictions import Predictions, predict_run
from metaloss.predict.table import csv_rows, csv_titles

__all__ = [
    "Choice",
    "Predictions",
    "RunNetwork",
    "Skipped",
    "csv_rows",
    "csv_titles",
    "predict_run",
    "read_network",
]
