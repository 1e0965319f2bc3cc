"""Types of the arrays that laws and accountants exchange."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Complexes = NDArray[np.complex128]
FloatLike = Floats | float
Orders = Integers | Floats  # Renyi orders: whole numbers or numbers between them
Derivatives = tuple[Floats, Floats, Floats]  # K, K', K'' of a log moment generating function
