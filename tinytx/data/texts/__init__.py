"""Texts as str: corpora from files, generated corpora, documents and sentences."""
