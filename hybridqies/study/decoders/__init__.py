"""Trials that train a language model from nothing on a text."""
