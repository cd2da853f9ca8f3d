"""Scaling by an operator; one test for each rule."""

from __future__ import annotations

from tests.support.policy_world import KILLED, running


class TestScale:
    def test_scale_up_forks_current_generation_and_down_drains_last_slots(self):
        world = running(2)
        world.scale(+2)
        world.settle()
        assert world.ready_generations() == [1] * 4
        world.scale(-3)
        assert [world.state.workers[each].slot for each in world.draining] == [1, 2, 3]
        world.settle()
        assert world.ready_generations() == [1]

    def test_capacity_is_at_least_one(self):
        world = running(1)
        world.scale(-1)
        assert not world.draining

    def test_scale_up_during_reload_includes_candidate(self):
        world = running(2)
        world.hup()
        world.template_ready(2)
        world.scale(+1)
        world.settle()
        assert world.ready_generations() == [2] * 3

    def test_scale_request_outlives_template_loss_but_not_reload(self):
        world = running(2)
        world.scale(+1)
        world.settle()
        world.template_exits(1, KILLED)
        world.settle()
        assert world.ready_generations() == [2] * 3
        world.hup()
        world.settle()
        assert world.ready_generations() == [3] * 2
