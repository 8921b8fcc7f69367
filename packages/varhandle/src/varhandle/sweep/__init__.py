"""The same cure for many models and settings: resumable, limited, compared with an earlier one."""
