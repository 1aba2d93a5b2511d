"""What was tried and how it went: one module per question, and their tables here by name."""

from experiments.models.alerts import (
    Alert,
    AlertQuerySet,
    AlertRule,
    AlertRuleQuerySet,
    RuleWatch,
    Webhook,
    WebhookDelivery,
    WebhookQuerySet,
)
from experiments.models.charts import ChartLayout, ChartLayoutQuerySet
from experiments.models.checkpoints import Checkpoint, CheckpointQuerySet
from experiments.models.cleared_scope import ClearedScope
from experiments.models.datasets import Dataset, DatasetHold, DatasetItem, DatasetQuerySet
from experiments.models.describing import RunBatch, RunEdit, RunTag
from experiments.models.discussion import Comment, CommentEdit, CommentQuerySet, Muted
from experiments.models.environments import Environment
from experiments.models.inbox import Level, Notice, NoticeQuerySet, NoticeSettings, ProjectSeen
from experiments.models.media import Media, MediaName, MediaQuerySet, MediaUse
from experiments.models.metrics import Batch, Chunk, FoldedBatches, ReplacedPoints, Series
from experiments.models.projects import Membership, Project, ProjectQuerySet
from experiments.models.publishing import ModelPage, ModelPageText
from experiments.models.reports import (
    FrozenBlock,
    Report,
    ReportExport,
    ReportQuerySet,
    ReportVersion,
)
from experiments.models.run_views import FirstView, RunView
from experiments.models.runs import (
    Attempt,
    ClusterEvent,
    ConfigChange,
    LogChunk,
    Run,
    RunQuerySet,
)
from experiments.models.sessions import Session, Undelivered
from experiments.models.sweeps import Sweep, SweepQuerySet, SweepTrial

__all__ = [
    "Alert",
    "AlertQuerySet",
    "AlertRule",
    "AlertRuleQuerySet",
    "Attempt",
    "Batch",
    "ChartLayout",
    "ChartLayoutQuerySet",
    "Checkpoint",
    "CheckpointQuerySet",
    "Chunk",
    "ClearedScope",
    "ClusterEvent",
    "Comment",
    "CommentEdit",
    "CommentQuerySet",
    "ConfigChange",
    "Dataset",
    "DatasetHold",
    "DatasetItem",
    "DatasetQuerySet",
    "Environment",
    "FirstView",
    "FoldedBatches",
    "FrozenBlock",
    "Level",
    "LogChunk",
    "Media",
    "MediaName",
    "MediaQuerySet",
    "MediaUse",
    "Membership",
    "ModelPage",
    "ModelPageText",
    "Muted",
    "Notice",
    "NoticeQuerySet",
    "NoticeSettings",
    "Project",
    "ProjectQuerySet",
    "ProjectSeen",
    "ReplacedPoints",
    "Report",
    "ReportExport",
    "ReportQuerySet",
    "ReportVersion",
    "RuleWatch",
    "Run",
    "RunBatch",
    "RunEdit",
    "RunQuerySet",
    "RunTag",
    "RunView",
    "Series",
    "Session",
    "Sweep",
    "SweepQuerySet",
    "SweepTrial",
    "Undelivered",
    "Webhook",
    "WebhookDelivery",
    "WebhookQuerySet",
]
