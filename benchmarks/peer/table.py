"""MLflow's search over many runs: filter, sort, first page. Runs in the peers' environment."""

import json
import os
import sys
import tempfile
import time


def main():
    import sqlalchemy
    from mlflow.tracking import MlflowClient

    count = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/mlflow.db"
        client = MlflowClient(url)
        experiment = client.create_experiment("bench", artifact_location=folder)
        client.create_run(experiment)
        engine = sqlalchemy.create_engine(url)
        runs = [
            {
                "id": f"{n:032x}",
                "name": f"Run {n}",
                "exp": int(experiment),
                "at": 1_700_000_000_000 + n,
            }
            for n in range(count)
        ]
        with engine.begin() as connection:
            connection.execute(
                sqlalchemy.text(
                    "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, "
                    "user_id, status, start_time, end_time, source_version, lifecycle_stage, "
                    "artifact_uri, experiment_id) VALUES (:id, :name, 'LOCAL', '', '', 'ada', "
                    "'FINISHED', :at, :at, '', 'active', '', :exp)"
                ),
                runs,
            )
            for metric in ("loss", "accuracy", "lr"):
                connection.execute(
                    sqlalchemy.text(
                        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, "
                        "run_uuid) "
                        "VALUES (:key, :value, 0, 100, 0, :id)"
                    ),
                    [
                        {"key": metric, "value": (n * 7919 % count) / count, "id": row["id"]}
                        for n, row in enumerate(runs)
                    ],
                )
            connection.execute(
                sqlalchemy.text(
                    "INSERT INTO params (key, value, run_uuid) VALUES ('lr', '0.1', :id)"
                ),
                runs,
            )
        took = []
        for _ in range(5):
            start = time.perf_counter()
            page = client.search_runs(
                [experiment],
                "metrics.loss < 0.5",
                order_by=["metrics.accuracy ASC"],
                max_results=50,
            )
            took.append(time.perf_counter() - start)
        assert len(page) == 50
        print(json.dumps({"seconds": sorted(took)[2]}), flush=True)
        os._exit(0)


main()
