"""What was said of each allocator, the runs that decide, and the opinion of what comes out.

Sources are public mail on linux-kernel and linux-mm and the kernels' own source, as each allocator's module
names them; what nobody said in so many words is said to follow. An opinion holds for one outcome only: it
disappears from the document when its runs say otherwise.
"""

from __future__ import annotations

from pipeline.studies.matrix import claims_of_kernels, claims_of_proposals
from pipeline.studies.matrix.claim import CLAIMS

# Claims enter the list when their module is imported.
__all__ = ["CLAIMS", "claims_of_kernels", "claims_of_proposals"]
