"""A workshop on this machine: a JupyterHub in which each participant has a place of their own.

``launcher`` starts it and keeps it going; ``hub_folder`` is what is kept between two starts;
``spawner`` starts a participant's server, by way of ``sandbox_spec``, which leaves root behind.
Importing this imports none of them.
"""
