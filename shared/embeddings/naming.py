"""How embedding models are named in feature URIs.

The settings check theirs with it, so it imports nothing of ours.
"""

from __future__ import annotations

import re

# The version grows whenever the same text would get another vector.
BUILT_IN_NAME = "wordllama_l2_supercat_v1"


def feature_name(model: str) -> str:
    """A model's name with letters, digits and underscores only: "intfloat/E5-base" -> "intfloat_e5_base".

    Empty when the name has no ASCII letter or digit.
    """
    return re.sub(r"[^a-z0-9]+", "_", model.lower()).strip("_")
