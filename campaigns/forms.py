"""What a marketer fills in: a campaign, the words of a tone, what is offered to all."""

from typing import Any

from django import forms
from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldAdminURLInputWidget,
    UnfoldBooleanSwitchWidget,
)

from campaigns.content.designs import (
    TONES,
    VARIANT_BLOCKS,
    blocks_of,
    load_designs,
)
from campaigns.content.problems import TemplateError
from campaigns.content.render import compile_variant
from campaigns.models import Campaign, EmailTemplate, Sender, Variant
from campaigns.rendering import (
    neutral_words,
    sender_facts,
    shared_blocks,
    words_of,
)
from segmentation.models import RuleSegment, Segment

EVERY_TONE = "every"
_ROWS = {"headline": 1, "opening": 5, "details": 9, "closing": 4}


def example_sender() -> Sender:
    """The first sender, or a stand-in to compile words with before there is any."""
    return Sender.objects.first() or Sender(
        shop_name="The shop",
        from_name="The shop",
        from_address="shop@example.com",
        postal_address="The shop's postal address",
    )


def _check(form: forms.ModelForm, template: EmailTemplate, variant: Variant) -> None:
    """Compile as a send would; put every problem where a marketer can mend it."""
    try:
        compile_variant(
            template.layout,
            shared_blocks(template),
            words_of(variant),
            sender=sender_facts(example_sender()),
        )
    except TemplateError as error:
        for problem in error.problems:
            name = problem.part if problem.part in form.fields else None
            form.add_error(name, in_words(problem))


def in_words(problem: Any) -> str:
    """Where, what, and what to write instead."""
    place = f"{problem.part}, " if problem.part else ""
    words = f"{place}line {problem.line}, column {problem.column}: {problem.message}"
    return f"{words} {problem.hint}" if problem.hint else words


class StarterForm(forms.Form):
    """A new template, from one of the designs."""

    design = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    name = forms.CharField(max_length=120, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        designs = load_designs(settings.EMAIL_DESIGNS_DIR)
        field = self.fields["design"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(key, design.label) for key, design in designs.items()]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        if EmailTemplate.objects.filter(name=name).exists():
            raise forms.ValidationError(f"There is a template “{name}” already.")
        return name


class WordsForm(forms.ModelForm):
    """The words of one tone."""

    class Meta:
        model = Variant
        fields = ["subject", "preheader"]
        widgets = {
            "subject": UnfoldAdminTextInputWidget,
            "preheader": UnfoldAdminTextInputWidget,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for block in VARIANT_BLOCKS:
            self.fields[block] = forms.CharField(
                required=False,
                initial=self.instance.blocks.get(block, ""),
                widget=UnfoldAdminTextareaWidget(attrs={"rows": _ROWS[block]}),
            )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        self.instance.blocks = {
            block: (data.get(block) or "").replace("\r\n", "\n")
            for block in VARIANT_BLOCKS
        }
        self.instance.subject = data.get("subject", "")
        self.instance.preheader = data.get("preheader", "")
        if not self.errors:
            _check(self, self.instance.template, self.instance)
        return data


class SharedForm(forms.ModelForm):
    """What is the same in every tone: the offer, its terms, the button, the footer."""

    button_url = forms.URLField(
        required=False, assume_scheme="https", widget=UnfoldAdminURLInputWidget
    )

    class Meta:
        model = EmailTemplate
        fields = [
            "name",
            "purpose",
            "offer",
            "terms",
            "offer_ends_on",
            "button_label",
            "button_url",
            "footer_reason",
        ]
        widgets = {
            "name": UnfoldAdminTextInputWidget,
            "purpose": UnfoldAdminSelectWidget,
            "offer": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
            "terms": UnfoldAdminTextareaWidget(attrs={"rows": 2}),
            "offer_ends_on": UnfoldAdminDateWidget,
            "button_label": UnfoldAdminTextInputWidget,
            "footer_reason": UnfoldAdminTextInputWidget,
        }

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            draft = EmailTemplate(
                pk=self.instance.pk, layout=self.instance.layout, **data
            )
            variant = neutral_words(self.instance)
            if variant is not None:  # none yet is no reason to refuse a change
                _check(self, draft, variant)
        return data


class LayoutForm(forms.ModelForm):
    """The MJML of a template."""

    class Meta:
        model = EmailTemplate
        fields = ["layout"]
        widgets = {
            "layout": UnfoldAdminTextareaWidget(
                attrs={"rows": 30, "spellcheck": "false", "class": "code"}
            )
        }

    def clean_layout(self) -> str:
        layout: str = self.cleaned_data["layout"].replace("\r\n", "\n")
        try:
            blocks_of(layout)
            variant = neutral_words(self.instance)
            if variant is not None:
                compile_variant(
                    layout,
                    shared_blocks(self.instance),
                    words_of(variant),
                    sender=sender_facts(example_sender()),
                )
        except TemplateError as error:
            raise forms.ValidationError(
                [in_words(problem) for problem in error.problems]
            ) from None
        return layout


class CampaignForm(forms.ModelForm):
    """What a marketer plans."""

    segments = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen means everyone.",
    )
    expires_at = forms.SplitDateTimeField(
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        label="Not after",
        help_text="The end of what it offers: whoever has not got it by then gets "
        "nothing. Empty means no end.",
    )

    class Meta:
        model = Campaign
        fields = [
            "name",
            "template",
            "sender",
            "segments",
            "audience_rule",
            "exclusion_rule",
            "neutral_share",
            "local_time",
            "at_night",
            "expires_at",
            "if_in_doubt",
        ]
        widgets = {
            "name": UnfoldAdminTextInputWidget,
            "template": UnfoldAdminSelectWidget,
            "sender": UnfoldAdminSelectWidget,
            "audience_rule": UnfoldAdminSelectWidget,
            "exclusion_rule": UnfoldAdminSelectWidget,
            "neutral_share": UnfoldAdminTextInputWidget,
            "local_time": UnfoldBooleanSwitchWidget,
            "at_night": UnfoldBooleanSwitchWidget,
            "if_in_doubt": UnfoldAdminSelectWidget,
        }
        labels = {
            "audience_rule": "Only those who match",
            "exclusion_rule": "Never those who match",
            "local_time": "By each customer's own clock",
            "at_night": "At night, too",
            "if_in_doubt": "If a mail is in doubt",
        }
        help_texts = {
            "audience_rule": "A rule that narrows the chosen segments down.",
            "exclusion_rule": "Whoever matches this rule gets nothing, whatever else "
            "is true of them.",
            "neutral_share": "The share of each segment that gets the neutral tone all "
            "the same: without it nobody can tell what a tone did. 0.2 is one in five.",
            "local_time": "The time you choose is read on everyone's own wall: 9:00 "
            "where they live. Off means one moment for all.",
            "at_night": "Off means that whoever sleeps gets a promotion when the night "
            "is over. Mails about an order come at any hour.",
            "if_in_doubt": "When it was handed over and nobody knows if it was taken. "
            "Leave it: only reports or you settle it. Ask again under its key: where "
            "the provider knows a call by its key, nobody is mailed twice; else it is "
            "left. Send again: after half an hour, once; somebody may get it twice, so "
            "it is for service notices only.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["segments"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(one.key, one.name) for one in Segment.objects.all()]
        for name in ("audience_rule", "exclusion_rule"):
            rule = self.fields[name]
            assert isinstance(rule, forms.ModelChoiceField)
            # A deleted one stays chosen until a person takes it out: without it the
            # campaign would reach more people, and nobody would have said so.
            chosen = Q(pk=getattr(self.instance, f"{name}_id"))
            rule.queryset = RuleSegment.objects.filter(
                Q(removed_at__isnull=True) | chosen
            )
            rule.empty_label = "no rule"
        # Who does not say keeps what is.
        self.fields["if_in_doubt"].required = False

    def clean_if_in_doubt(self) -> str:
        return self.cleaned_data["if_in_doubt"] or self.instance.if_in_doubt

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        rule = data.get("audience_rule")
        if rule is not None and rule == data.get("exclusion_rule"):
            self.add_error(
                "exclusion_rule",
                "The same rule on both sides reaches nobody: choose another.",
            )
        return data

    def clean_neutral_share(self) -> float:
        share: float = self.cleaned_data["neutral_share"]
        if not 0 <= share <= 1:
            raise forms.ValidationError(
                f"A share is a number from 0 to 1; it is {share:g}."
            )
        return share


class ScheduleForm(forms.Form):
    """Now, or a day and a time."""

    when = forms.SplitDateTimeField(
        required=False, widget=UnfoldAdminSplitDateTimeWidget
    )
    # The newest send this page showed: a second press finds the first one's.
    newest_known = forms.IntegerField(
        required=False, min_value=0, widget=forms.HiddenInput
    )

    def clean_when(self) -> Any:
        when = self.cleaned_data["when"]
        if when is not None and when < timezone.now():
            raise forms.ValidationError("This time has passed: choose a later one.")
        return when


class TestMailForm(forms.Form):
    """One mail to an address of one's own."""

    to = forms.EmailField(widget=UnfoldAdminEmailInputWidget)
    tone = forms.ChoiceField(
        choices=[
            *((tone.key, tone.label) for tone in TONES),
            (EVERY_TONE, "Every tone that is written, a mail each"),
        ]
    )
