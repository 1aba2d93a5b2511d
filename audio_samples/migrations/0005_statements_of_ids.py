"""Credit statements are ids and amounts, without names. Those of before get their new digest."""

import hashlib
import json
import zlib
from collections import defaultdict

import django.db.models.deletion
from django.db import migrations, models

ARTISTS = ("MainArtist", "FeaturedArtist")
NAMED = 4


def leave_out_the_names(apps, schema_editor):
    statements = apps.get_model("audio_samples", "CreditStatement").objects
    samples = apps.get_model("audio_samples", "Sample").objects
    old = list(statements.filter(packed=b"").values_list("digest", flat=True))
    for digest in old:
        body = statements.get(digest=digest).body
        lines = _lines(body["recordings"])
        references = _lines(body.get("references", []))
        packed = _packed(body, lines, references)
        learned, heard = _artists(apps, lines), _artists(apps, references)
        made, created = statements.get_or_create(
            digest=hashlib.sha256(packed).hexdigest(),
            defaults={
                "packed": zlib.compress(packed, 1),
                "body": {},
                "learned": len(lines),
                "heard": len(references),
                "learned_artists": len(learned),
                "heard_artists": len(heard),
            },
        )
        if created:
            named = apps.get_model("audio_samples", "NamedArtist")
            named.objects.bulk_create(
                named(statement=made, party_id=party, heard=of is heard, place=place)
                for of in (learned, heard)
                for place, party in enumerate(of[:NAMED])
            )
        samples.filter(credit=digest).update(credit=made)
    statements.filter(digest__in=old).delete()


def _lines(lines):
    found = [
        [
            line["id"],
            line["examples"],
            line["seconds"],
            line["share"],
            [grant["id"] for grant in line["grants"]],
        ]
        for line in lines
    ]
    return sorted(found, key=lambda line: (-line[2], line[0]))


def _packed(body, lines, references):
    """As rights.usage.crediting.Statement.canonical writes version 2."""
    made = {
        "version": 2,
        "use": body["use"],
        "decisions": [body["decision"]] if body["decision"] else [],
        "basis": body["basis"],
        "examples": body["examples"],
        "seconds": body["seconds"],
        "lines": lines,
        "references": references,
    }
    return json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _artists(apps, lines):
    """Party ids, the greatest share first."""
    sums = defaultdict(float)
    credit = apps.get_model("rights", "Credit")
    for line in lines:
        rows = credit.objects.filter(recording=line[0], role__in=ARTISTS)
        for party in rows.order_by().values_list("party", flat=True).distinct():
            sums[party] += line[3]
    return sorted(sums, key=lambda party: (-sums[party], party))


class Migration(migrations.Migration):

    dependencies = [
        ("audio_samples", "0004_references"),
        ("rights", "0012_lean_lines"),
    ]

    operations = [
        migrations.AddField(
            model_name="creditstatement",
            name="packed",
            field=models.BinaryField(default=b""),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="creditstatement",
            name="mark",
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name="creditstatement",
            name="learned",
            field=models.IntegerField(
                default=0, help_text="Recordings that the model learned from."
            ),
        ),
        migrations.AddField(
            model_name="creditstatement",
            name="heard",
            field=models.IntegerField(
                default=0, help_text="Recordings that were its reference audio."
            ),
        ),
        migrations.AddField(
            model_name="creditstatement",
            name="learned_artists",
            field=models.IntegerField(default=0),
        ),
        migrations.AddField(
            model_name="creditstatement",
            name="heard_artists",
            field=models.IntegerField(default=0),
        ),
        migrations.CreateModel(
            name="NamedArtist",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("heard", models.BooleanField(help_text="Of the reference audio.")),
                ("place", models.SmallIntegerField()),
                (
                    "party",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="rights.party",
                    ),
                ),
                (
                    "statement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="named",
                        to="audio_samples.creditstatement",
                    ),
                ),
            ],
            options={
                "ordering": ["heard", "place"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("statement", "heard", "place"), name="one_per_place"
                    )
                ],
            },
        ),
        migrations.RunPython(leave_out_the_names, migrations.RunPython.noop),
    ]
