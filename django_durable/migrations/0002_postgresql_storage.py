"""How PostgreSQL stores executions; docs/performance.md says what each setting is worth.

Elsewhere nothing is done. A project may set them otherwise with ALTER TABLE.
"""

from django.db import migrations

# An execution is updated at least twice. Where a page has room for that, the new version
# stands beside the old one, and what is logged of it is the difference. Versions that
# are over are cleared away, and the planner told, after a part of the table has changed
# that does not grow as large as a fifth of all executions that were ever kept.
SET = """
ALTER TABLE {table} SET (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
)
"""
RESET = """
ALTER TABLE {table} RESET (
    fillfactor, autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor
)
"""


def set_storage(apps, schema_editor):
    alter(apps, schema_editor, SET)


def reset_storage(apps, schema_editor):
    alter(apps, schema_editor, RESET)


def alter(apps, schema_editor, sql):
    if schema_editor.connection.vendor == "postgresql":
        execution = apps.get_model("django_durable", "Execution")
        table = schema_editor.quote_name(execution._meta.db_table)
        schema_editor.execute(sql.format(table=table))


class Migration(migrations.Migration):
    dependencies = [("django_durable", "0001_initial")]

    operations = [migrations.RunPython(set_storage, reset_storage)]
