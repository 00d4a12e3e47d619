"""Who asks a question that follows on an answer."""

from qfmagic.core.follow_up import FollowUp


def test_follow_up_is_told_apart_by_request_slot_and_number():
    askers = [FollowUp(request, slot, number) for request in "ab" for slot in (0, 1) for number in (1, 2)]
    assert len(set(askers)) == 8
    assert FollowUp("a", 0, 1) == askers[0]
