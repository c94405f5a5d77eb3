"""What a name meant, it means for ever; and `champion` stands on evidence."""

from django.db import migrations

from ground.dialect import RunDialectSQL, immutable

TABLES = ("modelversion", "evaluation", "verdict", "aliasmove", "completion")

NOT_OF_MODEL = "alias points at a version of another model"
NO_VERDICT = "champion needs a verdict on that very version: better, override, or bootstrap while there is no champion"

# A rollback re-uses the verdict by which that version once became champion, so the log of moves vouches for it.
FITTING = """
  SELECT 1 FROM models_registry_verdict v
   WHERE v.id = NEW.verdict_id AND v.version_id = NEW.version_id
     AND (v.outcome IN ('better', 'override')
          OR (v.outcome = 'bootstrap' AND ({first} OR EXISTS (
                SELECT 1 FROM models_registry_aliasmove m
                 WHERE m.alias_id = NEW.id AND m.to_version_id = NEW.version_id AND m.verdict_id = NEW.verdict_id))))
"""
OF_MODEL = "SELECT 1 FROM models_registry_modelversion o WHERE o.id = NEW.version_id AND o.model_id = NEW.model_id"


def _postgresql() -> list[str]:
    fitting = FITTING.format(first="TG_OP = 'INSERT'")
    refuse = "RAISE EXCEPTION '{}' USING ERRCODE = 'integrity_constraint_violation';"
    return [
        f"""CREATE FUNCTION models_registry_alias_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              IF NOT EXISTS ({OF_MODEL}) THEN {refuse.format(NOT_OF_MODEL)} END IF;
              IF NEW.name = 'champion' AND NOT EXISTS ({fitting}) THEN {refuse.format(NO_VERDICT)} END IF;
              RETURN NEW; END $$""",
        """CREATE TRIGGER models_registry_alias_is_guarded BEFORE INSERT OR UPDATE ON models_registry_alias
             FOR EACH ROW EXECUTE FUNCTION models_registry_alias_guard()""",
    ]


def _sqlite() -> list[str]:
    return [
        f"""CREATE TRIGGER models_registry_alias_guards_{event.lower()} BEFORE {event} ON models_registry_alias BEGIN
              SELECT RAISE(ABORT, '{NOT_OF_MODEL}') WHERE NOT EXISTS ({OF_MODEL});
              SELECT RAISE(ABORT, '{NO_VERDICT}')
               WHERE NEW.name = 'champion' AND NOT EXISTS ({FITTING.format(first=first)}); END"""
        for event, first in (("INSERT", "1 = 1"), ("UPDATE", "1 = 0"))
    ]


class Migration(migrations.Migration):
    dependencies = [("models_registry", "0001_initial")]

    operations = [
        *(immutable(f"models_registry_{table}") for table in TABLES),
        RunDialectSQL(
            postgresql=_postgresql(),
            sqlite=_sqlite(),
            undo_postgresql=[
                "DROP TRIGGER models_registry_alias_is_guarded ON models_registry_alias",
                "DROP FUNCTION models_registry_alias_guard()",
            ],
            undo_sqlite=[
                "DROP TRIGGER models_registry_alias_guards_insert",
                "DROP TRIGGER models_registry_alias_guards_update",
            ],
        ),
    ]
