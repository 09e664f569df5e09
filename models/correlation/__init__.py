"""Signals in, incidents out."""

from models.correlation.correlate import Correlation as Correlation
from models.correlation.correlate import correlate as correlate
from models.correlation.impact import impact_of as impact_of
from models.correlation.impact import raised_by as raised_by
from models.correlation.memory import Memory as Memory
from models.correlation.quiet import quiet as quiet
from models.correlation.signals import signal_of as signal_of
