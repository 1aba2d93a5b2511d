"""What a Job and its pods say, in one status and one sentence. No cluster, no socket."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workers.cluster import JobStatus, kube_memory
from workers.cluster.kube_events import event
from workers.cluster.kube_queue import QueuePosition, queue_position
from workers.cluster.kube_status import status

# Origin of the shapes: objects read with `kubectl get -o json`, conditions as in the batch/v1 and
# core/v1 references and in "Pod failure policy" and "Disruptions" of the Kubernetes docs.
NAME = "run-0123456789ab-1"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
Json = dict[str, Any]


def at(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(kind: str, reason: str = "", message: str = "", value: str = "True") -> Json:
    words = {"reason": reason, "message": message, "lastTransitionTime": at(-60)}
    return {"type": kind, "status": value, **words}


def job(*conditions: Json, cancelled: int | None = None, **spec: Any) -> Json:
    notes = {} if cancelled is None else {"backline/cancelled": str(cancelled)}
    return {
        "metadata": {"name": NAME, "annotations": notes},
        "spec": {"parallelism": 1, **spec},
        "status": {"startTime": at(-90), "conditions": list(conditions)},
    }


FAILED = condition("Failed", "BackoffLimitExceeded", "Job has reached the backoff limit")


def pod(
    phase: str = "Running",
    *conditions: Json,
    state: Json | None = None,
    deleted: float | None = None,
    uid: str = "first",
    **told: Any,
) -> Json:
    made: Json = {
        "metadata": {"name": f"{NAME}-{uid}", "uid": uid},
        "spec": {
            "nodeName": "node-a",
            "containers": [{"name": "run", "resources": {"limits": {"memory": "2Gi"}}}],
        },
        "status": {"phase": phase, "conditions": list(conditions), **told},
    }
    if state:
        made["status"]["containerStatuses"] = [{"name": "run", "image": "lab", "state": state}]
    if deleted is not None:
        made["metadata"] |= {"deletionTimestamp": at(deleted), "deletionGracePeriodSeconds": 10}
    return made


def ended(code: int, reason: str = "Error", finished: float = -1) -> Json:
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": at(finished)}}


RUNNING: Json = {"running": {"startedAt": at(-80)}}


def told(made: Json | None, *pods: Json, **more: str) -> JobStatus:
    before = copy.deepcopy((made, pods))
    found = status(NAME, made, pods, now=NOW, **more)
    assert (made, pods) == before
    return found


def test_no_room_is_said_in_the_schedulers_words() -> None:
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    waiting = pod("Pending", condition("PodScheduled", "Unschedulable", message, "False"))
    found = told(job(), waiting)
    assert found.phase == "pending"
    assert found.reason == f"No node has room for it: {message}"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ImagePullBackOff", "The image lab cannot be pulled: not found."),
        ("ErrImagePull", "The image lab cannot be pulled: not found."),
        ("CreateContainerConfigError", "Its container cannot be made: not found."),
        ("ContainerCreating", "It has a place on node-a, which fetches its image."),
    ],
)
def test_a_container_that_does_not_start_says_why(reason: str, words: str) -> None:
    state = {"waiting": {"reason": reason, "message": "not found"}}
    found = told(job(), pod("Pending", state=state))
    assert (found.phase, found.reason) == ("pending", words)


def test_a_job_without_pods_says_what_keeps_them_away() -> None:
    found = told(job(), warning='pods "x" is forbidden: exceeded quota: gpus')
    assert (found.phase, found.reason) == (
        "pending",
        'pods "x" is forbidden: exceeded quota: gpus.',
    )


def test_it_runs_when_its_pod_runs() -> None:
    assert told(job(), pod(state=RUNNING)) == JobStatus(NAME, "running", node="node-a")


def test_many_nodes_run_when_all_of_them_do() -> None:
    waits = pod("Pending", condition("PodScheduled", "", "0/2 nodes.", "False"), uid="second")
    found = told(job(parallelism=2), pod(state=RUNNING), waits)
    assert found.phase == "pending"
    assert found.reason == "1 of 2 nodes have started. No node has room for it: 0/2 nodes."


@pytest.mark.parametrize(("seconds", "phase"), [(290, "pending"), (310, "preempted")])
def test_nodes_that_wait_too_long_for_the_others_are_given_back(seconds: int, phase: str) -> None:
    waits = pod("Pending", condition("PodScheduled", "", "0/2 nodes.", "False"), uid="second")
    first = pod(state=RUNNING, startTime=at(-seconds))
    later = pod(state=RUNNING, startTime=at(-5), uid="third")
    found = told(job(parallelism=3), later, first, waits)
    assert found.phase == phase
    if phase == "preempted":
        assert found.reason == "Only 2 of its 3 nodes had room within 5 minutes; it let them go."


def test_the_image_is_known_by_its_digest_once_it_is_pulled() -> None:
    waits = pod("Pending", state={"waiting": {"reason": "ContainerCreating"}})
    assert told(job(), waits).image == ""
    runs = pod(state=RUNNING)
    digest = "registry.example/run@sha256:" + "1" * 64
    runs["status"]["containerStatuses"][0]["imageID"] = f"docker-pullable://{digest}"
    assert told(job(), runs).image == digest
    runs["status"]["containerStatuses"][0]["imageID"] = "sha256:of-a-local-image"
    assert told(job(), runs).image == ""


def test_a_slow_image_is_no_want_of_room() -> None:
    fetches = pod("Pending", state={"waiting": {"reason": "ContainerCreating"}}, uid="second")
    found = told(job(parallelism=2), pod(state=RUNNING, startTime=at(-900)), fetches)
    assert found.phase == "pending"


def test_ranks_that_have_ended_well_are_not_missed() -> None:
    """The list has no pods that succeeded: the job counts them."""
    made = job(parallelism=2)
    made["status"]["succeeded"] = 1
    assert told(made, pod(state=RUNNING)).phase == "running"


def test_its_own_failure_is_a_failure_with_its_code() -> None:
    found = told(job(FAILED), pod("Failed", state=ended(3)))
    assert (found.phase, found.exit_code, found.reason) == ("failed", 3, "")


def test_a_failed_pod_is_no_end_until_the_job_knows() -> None:
    assert told(job(), pod("Failed", state=ended(3))).phase == "running"


def test_out_of_memory_names_the_limit() -> None:
    found = told(job(FAILED), pod("Failed", state=ended(137, "OOMKilled")))
    assert (found.phase, found.reason) == ("failed", "Out of memory: the limit is 2 GiB.")


def test_the_pods_deadline_is_its_longest_duration() -> None:
    late = pod("Failed", state=ended(143), reason="DeadlineExceeded")
    late["spec"]["activeDeadlineSeconds"] = 5400
    found = told(job(FAILED), late)
    assert (found.phase, found.reason) == ("failed", "It reached its longest duration, 1.5 h.")


def test_code_75_is_making_room_with_a_checkpoint() -> None:
    found = told(job(FAILED), pod("Failed", state=ended(75)))
    assert (found.phase, found.exit_code) == ("preempted", 75)
    assert "saved a checkpoint" in found.reason


@pytest.mark.parametrize(
    ("reason", "phase"),
    [
        ("PreemptionByScheduler", "preempted"),
        ("EvictionByEvictionAPI", "preempted"),
        ("TerminationByKubelet", "preempted"),
        ("DeletionByTaintManager", "lost"),
        ("DeletionByPodGC", "lost"),
        ("SomethingNew", "preempted"),
    ],
)
@pytest.mark.parametrize("code", [1, 137, 143])
def test_a_disruption_is_never_the_programs_failure(reason: str, phase: str, code: int) -> None:
    gone = pod("Failed", condition("DisruptionTarget", reason, "said so"), state=ended(code))
    found = told(job(FAILED), gone)
    assert found.phase == phase
    assert found.reason.endswith("said so.")


@pytest.mark.parametrize(
    ("reason", "phase"),
    [
        ("Evicted", "preempted"),
        ("Preempting", "preempted"),
        ("NodeLost", "lost"),
        ("Shutdown", "lost"),
        ("NodeShutdown", "lost"),
        ("OutOfmemory", "lost"),
    ],
)
def test_nodes_before_disruption_conditions_say_it_by_the_pods_reason(
    reason: str, phase: str
) -> None:
    message = "The node was low on resource: memory."
    found = told(job(FAILED), pod("Failed", reason=reason, message=message))
    assert found.phase == phase
    assert message in found.reason


def test_the_failure_policys_word_is_enough_when_the_pod_is_gone() -> None:
    message = "Pod runs/x has condition DisruptionTarget matching FailJob rule at index 0"
    assert told(job(condition("Failed", "PodFailurePolicy", message))).phase == "preempted"


def test_a_deleted_pod_is_a_loss() -> None:
    found = told(job(FAILED))
    assert (found.phase, found.reason) == ("lost", "Its pod was deleted in the cluster.")


def test_of_many_ends_the_first_one_counts() -> None:
    cause = pod("Failed", state=ended(1, finished=-5), uid="b")
    dragged = pod("Failed", state=ended(143, finished=-1), uid="a")
    assert told(job(FAILED, parallelism=2), dragged, cause).exit_code == 1


def test_a_cancelled_job_has_ended_when_its_pods_have() -> None:
    over = condition("Failed", "DeadlineExceeded")
    ending = pod(state=RUNNING, deleted=5)
    assert told(job(over, cancelled=10), ending).phase == "running"
    found = told(job(over, cancelled=10))
    assert (found.phase, found.exit_code) == ("failed", 143)


def test_a_job_cancelled_before_it_had_a_pod_has_ended() -> None:
    waiting = job(cancelled=10, suspend=True)
    del waiting["status"]["startTime"]
    assert told(waiting).ended


def test_a_pod_that_should_long_be_gone_is_on_a_dead_node() -> None:
    assert told(job(), pod(state=RUNNING, deleted=-5)).phase == "running"
    found = told(job(), pod(state=RUNNING, deleted=-30))
    assert (found.phase, found.reason) == ("lost", "Node node-a does not answer.")


def test_a_pod_told_to_go_after_its_node_fell_silent_is_lost_at_once() -> None:
    silent = pod("Running", condition("Ready", value="False"), state=RUNNING, deleted=8)
    assert told(job(), silent).phase == "lost"
    polite = pod("Running", condition("Ready"), state=RUNNING, deleted=8)
    assert told(job(), polite).phase == "running"


def test_a_second_pod_of_an_old_server_does_not_count() -> None:
    made = job()
    made["metadata"]["annotations"]["backline/pod"] = "first"
    assert told(made, pod(state=RUNNING)).phase == "running"
    found = told(made, pod("Pending", uid="second"))
    assert (found.phase, found.reason) == ("lost", "Its pod was deleted in the cluster.")


def test_a_deleted_job_is_lost_when_its_last_pod_is_gone() -> None:
    assert told(None, pod(state=RUNNING, deleted=5)).phase == "running"
    found = told(None)
    assert (found.phase, found.reason) == ("lost", "Its Job was deleted in the cluster.")


def workload(*conditions: Json) -> Json:
    return {"spec": {"queueName": "gpus"}, "status": {"conditions": list(conditions)}}


def test_the_queue_says_its_place_and_what_is_missing() -> None:
    message = "couldn't assign flavors to pod set main: insufficient unused quota"
    waits = workload(condition("QuotaReserved", "Pending", message, "False"))
    assert queue_position(waits, 2).reason == f"It waits in the queue gpus, at place 3. {message}"
    assert queue_position(waits).reason.startswith("It waits in the queue gpus. ")
    assert queue_position(workload(condition("Admitted"))).reason == "The queue has admitted it."


def test_a_place_that_the_queue_took_back_is_making_room() -> None:
    evicted = queue_position(
        workload(condition("Evicted", "Preempted", "Preempted to accommodate x"))
    )
    assert evicted == QueuePosition(
        evicted="It had to make room in the queue. Preempted to accommodate x"
    )
    found = told(job(suspend=True), evicted=evicted.evicted)
    assert found.phase == "preempted"
    assert told(job(suspend=True), pod(state=RUNNING), evicted="x").phase == "running"


@pytest.mark.parametrize(
    ("raw", "count"),
    [
        ({"lastTimestamp": at(-1), "count": 3, "message": "m"}, 3),
        ({"eventTime": at(-1), "note": "m", "series": None}, 1),
        (
            {
                "eventTime": at(-9),
                "message": "m",
                "series": {"count": 7, "lastObservedTime": at(-1)},
            },
            7,
        ),
    ],
)
def test_events_are_read_in_every_spelling(raw: Json, count: int) -> None:
    meta = {"uid": "u", "creationTimestamp": at(-100)}
    found = event({"metadata": meta, "type": "Warning", "reason": "r", **raw})
    assert (found.at, found.count, found.message) == (NOW - timedelta(seconds=1), count, "m")


def test_the_longest_message_is_cut_and_stays_a_sentence() -> None:
    found = told(job(), warning="word " * 300)
    assert len(found.reason) <= 401


# --- What is remembered of pods that are gone -------------------------------------------------

DRAINED = condition("DisruptionTarget", "EvictionByEvictionAPI", "Eviction API: evicting")
POLICY = "Pod runs/x has condition DisruptionTarget matching FailJob rule at index 0"


def kept(made: Json, *pods: Json, gone: tuple[Json, ...] = ()) -> Json:
    """The Job with the notes that it gets when these are seen."""
    made = copy.deepcopy(made)
    made["metadata"]["annotations"] |= kube_memory.missing_annotations(made, pods, gone)
    return made


def later(made: Json, *conditions: Json, pods: tuple[Json, ...] = ()) -> JobStatus:
    """What another process says of it, when the Job says this and these are its pods."""
    made = copy.deepcopy(made)
    made["status"]["conditions"] = list(conditions)
    known = kube_memory.read(made)
    return status(NAME, made, pods, now=NOW, nodes=known.nodes, ends=known.ends)


@pytest.mark.parametrize(
    ("reason", "phase", "words"),
    [
        ("EvictionByEvictionAPI", "preempted", "It was evicted: its node is being emptied."),
        ("DeletionByTaintManager", "lost", "Its node is gone or takes no more runs."),
        ("PreemptionByScheduler", "preempted", "It had to make room for a run of higher priority."),
        ("TerminationByKubelet", "preempted", "Its node ended it to save itself or to shut down."),
        ("DeletionByPodGC", "lost", "Its node is gone."),
    ],
)
@pytest.mark.parametrize("code", [75, 143])
def test_a_pod_that_was_drained_away_keeps_its_words_and_its_code(
    reason: str, phase: str, words: str, code: int
) -> None:
    """Since 1.31 the Job has failed only when the pod is gone."""
    target = condition("DisruptionTarget", reason, "said so")
    going = pod("Failed", target, state=ended(code), deleted=5)
    made = kept(job(), going)
    over = condition("Failed", "PodFailurePolicy", POLICY)
    found = later(made, condition("FailureTarget", "PodFailurePolicy", POLICY), over)
    assert (found.phase, found.exit_code) == (phase, code)
    assert found.reason == f"{words} said so."
    assert found.node == ""


def test_a_pod_that_went_between_two_looks_is_read_from_its_last_line() -> None:
    last = pod("Failed", DRAINED, state=ended(75), deleted=5)
    found = later(kept(job(), gone=(last,)), condition("Failed", "PodFailurePolicy", POLICY))
    assert (found.phase, found.exit_code) == ("preempted", 75)
    assert "emptied" in found.reason


def test_a_pod_that_went_without_an_end_is_still_known_by_what_was_done_to_it() -> None:
    last = pod("Running", DRAINED, state=RUNNING, deleted=5)
    found = later(kept(job(), gone=(last,)), condition("Failed", "PodFailurePolicy", POLICY))
    assert (found.phase, found.exit_code) == ("preempted", None)
    assert "emptied" in found.reason


def test_a_pod_deleted_by_hand_is_a_loss_with_its_code() -> None:
    going = pod("Failed", state=ended(143), deleted=5)
    found = later(kept(job(), going), FAILED)
    assert (found.phase, found.exit_code) == ("lost", 143)
    assert found.reason == "Its pod was deleted in the cluster."
    saved = pod("Failed", state=ended(75), deleted=5)
    assert later(kept(job(), saved), FAILED).phase == "preempted"


def test_a_cancelled_program_that_was_killed_says_so_when_its_pod_is_gone() -> None:
    going = pod("Failed", state=ended(137), deleted=5)
    found = later(kept(job(cancelled=5), going), condition("Failed", "DeadlineExceeded"))
    assert (found.phase, found.exit_code) == ("failed", 137)
    assert "grace" in found.reason


def test_what_stays_is_not_noted_and_what_was_noted_is_not_noted_again() -> None:
    assert kube_memory.missing_annotations(job(), [pod("Failed", state=ended(3))], ()) == {}
    assert kube_memory.missing_annotations(job(), [pod(state=RUNNING)], ()) == {}
    going = pod("Failed", DRAINED, state=ended(75), deleted=5)
    assert kube_memory.missing_annotations(kept(job(), going), [going], [going]) == {}


def test_of_several_the_one_that_was_drained_is_the_cause_and_not_whom_it_dragged_along() -> None:
    drained = pod("Failed", DRAINED, state=ended(143, finished=-3), deleted=5, uid="b")
    dragged = pod("Failed", state=ended(143, finished=-3), deleted=5, uid="a")
    made = kept(job(parallelism=2), drained, dragged)
    found = later(made, condition("Failed", "PodFailurePolicy", POLICY))
    assert "emptied" in found.reason


def test_its_own_failure_comes_before_whom_it_dragged_along() -> None:
    own = pod("Failed", state=ended(3, finished=-3), uid="z")
    dragged = pod("Failed", state=ended(143, finished=-3), deleted=5, uid="a")
    found = later(kept(job(parallelism=2), own, dragged), FAILED, pods=(own,))
    assert (found.phase, found.exit_code) == ("failed", 3)


@pytest.mark.parametrize("kind", ["FailureTarget", "SuccessCriteriaMet"])
def test_a_job_whose_end_is_decided_has_not_ended_while_its_pods_go(kind: str) -> None:
    deciding = job(condition(kind, "PodFailurePolicy"))
    going = pod(state=RUNNING, deleted=5)
    assert told(deciding, going).phase == "running"
    found = told(deciding, warning="exceeded quota: gpus")
    assert (found.phase, found.reason) == ("pending", "")


def test_the_nodes_of_those_that_have_ended_well_are_kept() -> None:
    one, two = pod(state=RUNNING), pod(state=RUNNING, uid="second")
    two["spec"]["nodeName"] = "mate"
    made = kept(job(parallelism=2), one, two)
    made["status"]["succeeded"] = 1
    assert later(made, pods=(two,)).node == "mate, node-a"
    assert kube_memory.missing_annotations(made, [two], ()) == {}


def test_the_node_of_a_single_pod_needs_no_note() -> None:
    assert kube_memory.missing_annotations(job(), [pod(state=RUNNING)], ()) == {}


@pytest.mark.parametrize("note", ["", "no json", "[]", '{"x": 3}', '{"x": {"phase": "odd"}}'])
def test_a_note_that_a_strangers_hand_has_changed_is_no_note(note: str) -> None:
    made = job(FAILED)
    made["metadata"]["annotations"]["backline/ends"] = note
    assert later(made, FAILED).reason == "Its pod was deleted in the cluster."
