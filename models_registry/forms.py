"""What the buttons of a model's page send."""

from django import forms


class MoveForm(forms.Form):
    """`generation` is where the page saw the alias stand: whoever moved it first wins."""

    verdict = forms.CharField(required=False, max_length=60)
    generation = forms.IntegerField(min_value=0)
    reason = forms.CharField(required=False, max_length=2000)


class VerdictForm(forms.Form):
    """Either the evaluation whose interval decides, or an outcome that is said."""

    evaluation = forms.CharField(required=False, max_length=60)
    outcome = forms.CharField(required=False, max_length=12)
    reason = forms.CharField(required=False, max_length=2000)
