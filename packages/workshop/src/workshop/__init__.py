"""A workshop on this machine: a JupyterHub in which each participant has a place of their own.

``workshop`` starts it and keeps it going; ``room`` is its folder, and what stands in it;
``spawner`` starts a participant's server: forked from ``template``, by way of ``enter``, which
leaves root behind.
Importing this imports none of them.
"""
