"""Rewrites of a SavedModel."""
