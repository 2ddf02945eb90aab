from campaigns.models import Send
from engagement.needs import runs_of_open_sends
from segmentation.keeping import NEEDED
from segmentation.models import SegmentationRun


def test_a_run_is_needed_until_the_audience_of_its_send_is_drawn_up(send, at):
    run = SegmentationRun.objects.create(cut_off=at, segmenter="anchored", model={})
    assert runs_of_open_sends in NEEDED
    Send.objects.update(run=run, state=Send.State.SCHEDULED)
    assert list(runs_of_open_sends()) == [run.pk]
    Send.objects.update(prepared_at=at)
    assert list(runs_of_open_sends()) == []
    Send.objects.update(prepared_at=None, state=Send.State.CANCELLED)
    assert list(runs_of_open_sends()) == []
