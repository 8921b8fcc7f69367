"""The claims of the article that started this workbook, from ``data/article_claims.json``."""

from __future__ import annotations

import json
from typing import Any

from workbook_lib.locations import data_path


def article_claims() -> list[dict[str, Any]]:
    """Return the claims.

    Each has ``id``, ``claim``, ``verdict`` (``"holds"``, ``"holds in part"`` or ``"does not
    hold"``), ``since``, the first measured TensorFlow of which the verdict is true, ``proof``
    (``notebook`` and ``cell``) and ``note``.
    """
    claims: list[dict[str, Any]] = json.loads(
        data_path("article_claims.json").read_text(encoding="utf-8")
    )
    return claims
