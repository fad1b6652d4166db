"""One page of HTML that holds a trained network and runs it, for anyone with a browser."""

from tinygan.formats.demo.describe import describe
from tinygan.formats.demo.page import page

__all__ = ["describe", "page"]
