"""What somebody fills in to warm up a sender domain."""

import re
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget

from campaigns.models import SenderDomainWarmUp
from campaigns.warmup_models import default_caps, rising_caps

_APART = re.compile(r"[\s,;]+")


class WarmUpForm(forms.ModelForm):
    """A domain, whether it is on, the day it is at, and its table."""

    caps = forms.CharField(
        label="Mails a day",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Of day 1, day 2 and so on, each more than the one before, with "
        "spaces or commas between them. After the last day the domain sends as much as "
        "campaigns do.",
    )

    class Meta:
        model = SenderDomainWarmUp
        fields = ("domain", "on", "day", "caps")

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        caps = self.instance.caps if self.instance.pk else default_caps()
        self.initial["caps"] = ", ".join(map(str, caps))

    def clean_caps(self) -> list[int]:
        caps = []
        for day, word in enumerate(
            filter(None, _APART.split(self.cleaned_data["caps"])), start=1
        ):
            # 1,000 would be read as a 1 and a 000.
            if not re.fullmatch(r"[1-9][0-9]{0,9}", word):
                raise forms.ValidationError(
                    f"Day {day}: “{word}” is no whole number above 0. Write 1000, not "
                    "1,000 or 1.000."
                )
            caps.append(int(word))
        rising_caps(caps)
        return caps
