"""What can go wrong, as exceptions a caller can tell apart.

Every error of chunkseg is a :class:`ChunksegError` and the fitting builtin as well, so that
``except ValueError`` keeps working. A message says what was needed, what came, and what to do.
"""


class ChunksegError(Exception):
    """Base class of all errors raised by chunkseg."""


class ParameterError(ChunksegError, ValueError):
    """A parameter has a value that can't be used."""


class KindError(ChunksegError, TypeError):
    """An argument is of the wrong kind: its type, dtype or number of dimensions."""


class FormatError(ChunksegError, ValueError):
    """A file or store is there, but can't be read as an image or its metadata contradict."""


class PixelError(ChunksegError, ValueError):
    """The pixels can't be processed, as NaN or infinity in an image to be thresholded."""


class PathError(ChunksegError, FileNotFoundError):
    """A path does not exist or can't be read."""


class OutputExistsError(ChunksegError, FileExistsError):
    """The output is there already and was not to be overwritten."""


class IncompleteError(ChunksegError, RuntimeError):
    """A result was not finished and can't be taken for one."""


class BusyError(ChunksegError, BlockingIOError):
    """The output is being written by another run."""


class BlocksError(ChunksegError, RuntimeError):
    """Some blocks could not be done; what is done is kept, and the same command goes on."""


class ScratchError(ChunksegError, OSError):
    """An intermediate that chunkseg wrote is damaged or gone; it can be computed again."""


class StorageFullError(ChunksegError, OSError):
    """There is no room for what is to be written; the same command goes on when there is."""


class MemoryLimitError(ChunksegError, MemoryError):
    """A single block needs more memory than a worker has."""


class StalledError(ChunksegError, TimeoutError):
    """Nothing moved for too long."""


class ClusterError(ChunksegError, ConnectionError):
    """The cluster can't be reached, went away, or lacks what a run needs."""
