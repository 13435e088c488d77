"""What the clinic is to do after the consult: written down with its day, then done by somebody (HZ-28)."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import uuid4

from audit.events import EventCode
from clinic import checks
from clinic.access import authorise
from clinic.actor import Actor
from clinic.calendar import local_date
from clinic.errors import IllegalMove, InvalidInput
from clinic.notes import require_writable
from clinic.overlays import rules_for
from clinic.panels.outcome import FollowUpTask, TaskState
from clinic.panels.traces import event, require_panel
from clinic.roles import Action
from clinic.transaction import ClinicTransaction


async def set_task(tx: ClinicTransaction, consult_id: str, what: str, due_on: date, by: Actor) -> FollowUpTask:
    """A task for the inviting clinic. Raises InvalidInput (past, or too far away), NotPermitted, IllegalMove."""
    consult = await tx.consults.get(consult_id)
    await authorise(tx, by, Action.SET_TASK, consult)
    require_writable(consult)
    require_panel(consult)
    house = await tx.institutions.get(consult.institution_id)
    today, longest = local_date(tx.now, house.time_zone), rules_for(house, tx.now).value("HZ-28", "longest_days")
    if not today <= due_on <= today + timedelta(days=longest):
        raise InvalidInput("due_on", "past, or too far away")
    said = checks.text("what", what, 1000, 2)
    task = FollowUpTask(uuid4().hex, consult.institution_id, consult_id, said, due_on, TaskState.OPEN, by.id, tx.now)
    await tx.follow_up_tasks.add(task)
    await tx.append(event(EventCode.TASK_SET, consult, by, task.id, {"due": due_on.isoformat()}))
    return task


async def end_task(tx: ClinicTransaction, task_id: str, done: bool, remark: str, by: Actor) -> FollowUpTask:
    """Done, or dropped with the reason; also long after the consult closed. Raises IllegalMove, NotPermitted."""
    task = await tx.follow_up_tasks.get(task_id)
    consult = await tx.consults.get(task.consult_id)
    await authorise(tx, by, Action.END_TASK, consult)
    if task.state is not TaskState.OPEN:
        raise IllegalMove(f"the task is {task.state}")
    said = checks.text("remark", remark, 1000, 0 if done else 2)
    state = TaskState.DONE if done else TaskState.DROPPED
    ended = replace(task, state=state, done_by=by.id, done_at=tx.now, remark=said)
    await tx.follow_up_tasks.save(ended)
    await tx.append(event(EventCode.TASK_ENDED, consult, by, task.id, {"state": state.value}))
    return ended


def overdue(task: FollowUpTask, today: date) -> bool:
    return task.state is TaskState.OPEN and today > task.due_on
