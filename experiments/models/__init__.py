"""What was tried and how it went: one module per question, and their tables here by name."""

from experiments.models.charts import ChartLayout, ChartLayoutQuerySet
from experiments.models.checkpoints import Checkpoint, CheckpointQuerySet
from experiments.models.cleared_scope import ClearedScope
from experiments.models.datasets import Dataset, DatasetHold, DatasetItem, DatasetQuerySet
from experiments.models.metrics import Batch, Chunk, ReplacedPoints, Series
from experiments.models.projects import Membership, Project, ProjectQuerySet
from experiments.models.publishing import ModelPage, ModelPageText
from experiments.models.runs import (
    Attempt,
    ClusterEvent,
    ConfigChange,
    LogChunk,
    Run,
    RunQuerySet,
)
from experiments.models.sessions import Session, Undelivered

__all__ = [
    "Attempt",
    "Batch",
    "ChartLayout",
    "ChartLayoutQuerySet",
    "Checkpoint",
    "CheckpointQuerySet",
    "Chunk",
    "ClearedScope",
    "ClusterEvent",
    "ConfigChange",
    "Dataset",
    "DatasetHold",
    "DatasetItem",
    "DatasetQuerySet",
    "LogChunk",
    "Membership",
    "ModelPage",
    "ModelPageText",
    "Project",
    "ProjectQuerySet",
    "ReplacedPoints",
    "Run",
    "RunQuerySet",
    "Series",
    "Session",
    "Undelivered",
]
