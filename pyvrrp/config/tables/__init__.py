"""The keyword table, a file for each part of the language; `keywords.py` puts it together."""
