"""Random sequences of events against the policy of corn dev."""

from hypothesis import given, settings
from hypothesis import strategies as st

from corn.supervisor.policy import events
from corn.supervisor.policy.state import Phase, ProcessExit, Stage, TemplateStage
from tests.support.policy_world import World, settings_with

ENDS = (ProcessExit(code=0), ProcessExit(code=1), ProcessExit(signal="SIGSEGV"), ProcessExit(signal="SIGKILL"))
STEPS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 9)), max_size=60)


def step(world, kind, number):
    """Apply one event, chosen by `kind`, to one of the processes, chosen by `number`."""
    workers, templates = sorted(world.workers), sorted(world.templates - world.stopping_templates)
    worker = workers[number % len(workers)] if workers else None
    record = world.state.workers.get(worker or 0)
    if kind <= 1:
        world.happens(events.CodeChanged(world.now, world.settings, cold=kind == 1))
    elif kind == 2:
        world.happens(events.PackagesKnown(world.now))
    elif kind == 3 and templates:
        world.template_exits(templates[number % len(templates)], ENDS[number % 4])
    elif kind == 4 and templates:
        loading = [n for n in templates if world.state.templates[n].stage is TemplateStage.LOADING]
        for each in loading[:1]:
            world.template_ready(each)
    elif kind == 5 and record is not None and record.stage is Stage.SPAWNING:
        world.boots(record.id)
    elif kind == 6 and record is not None and record.stage is Stage.BOOTING:
        world.ready(record.id)
    elif kind == 7 and record is not None and record.stage is Stage.BOOTING:
        world.fails(record.id)
    elif kind == 8 and worker is not None and (record is None or record.stage is not Stage.SPAWNING):
        world.exits(worker, ENDS[number % 4])
    elif kind == 9:
        world.hup(world.settings)
    elif kind == 10:
        world.passes(float(number))
    elif kind == 11:
        world.settle()


@given(STEPS, st.integers(1, 3), st.booleans())
@settings(deadline=None, max_examples=150)
def test_each_slot_serves_newest_code_or_its_failure(steps, workers, keep):
    world = World(settings_with(development=True, workers=workers, keep_last_good=keep, timeout_graceful_shutdown=1.0))
    world.start()
    world.settle()
    for kind, number in steps:
        world.now += 0.01
        step(world, kind, number)
        state = world.state
        assert state.phase is Phase.RUNNING
        assert world.exit_code is None
        old = [each for each in state.ready() if each.revision != state.revision]
        assert keep or not old, "old code accepts connections"
    for _ in range(40):  # the longest backoff ends
        world.passes(1.0)
        world.settle()
    state = world.state
    newest = {each.slot for each in state.ready() if each.revision == state.revision}
    kept = {each.slot for each in state.ready() if keep and state.broken is not None}
    assert newest | kept == set(range(workers))
    assert len(state.ready()) == workers
    assert all(each.responder is (state.broken is not None) for each in state.ready() if each.slot not in kept)
    assert len(state.templates) <= 2


@given(STEPS, st.sampled_from(["SIGINT", "SIGTERM", "SIGQUIT"]))
@settings(deadline=None, max_examples=100)
def test_stop_always_terminates(steps, signal):
    world = World(settings_with(development=True, workers=2, timeout_graceful_shutdown=1.0))
    world.start()
    for kind, number in steps:
        world.now += 0.01
        step(world, kind, number)
    world.signal(signal)
    world.settle()
    assert world.exit_code is not None
    assert not world.workers
