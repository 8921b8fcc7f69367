"""Run code where its crash, its leak or its endless loop costs nobody anything."""

from varhandle.sandbox.native_log import silence_native_log
from varhandle.sandbox.process import cancellable, run_isolated, run_source, run_with_retry
from varhandle.sandbox.record import OpError, Record

__all__ = [
    "OpError",
    "Record",
    "cancellable",
    "run_isolated",
    "run_source",
    "run_with_retry",
    "silence_native_log",
]
