"""Live chat for clients: the same that the labeling page does."""

from typing import Any, cast

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Actor, ApiToken, Scope, User
from accounts.selectors import require_scope
from annotation.api.queue import actor_of_slot
from annotation.live_chat.tickets import origin_of
from annotation.models import Conversation
from annotation.selectors.chat import get_conversation_for, state_of
from annotation.selectors.queue import get_slot_for
from annotation.serializers import chat as shapes
from annotation.services import chat
from ground.errors import NotFound

IDEMPOTENCY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, required=True)


class Conversations(APIView):
    @extend_schema(request=shapes.NewConversationSerializer, responses=shapes.ConversationSerializer)
    def post(self, request: Request, slot: str) -> Response:
        """Begin the conversation that a chat question of this task asks for, or find the one that was begun."""
        require_scope(request, Scope.ANNOTATE)
        actor = actor_of_slot(request, slot)
        shape = shapes.NewConversationSerializer(data=request.data)
        shape.is_valid(raise_exception=True)
        task = get_slot_for(actor, slot).task
        made = chat.open_conversation(actor=actor, task=task, question=shape.validated_data["question"])
        return _answer(request, actor, made)


class ConversationOne(APIView):
    @extend_schema(responses=shapes.ConversationSerializer)
    def get(self, request: Request, conversation: str) -> Response:
        """How it stands, with fresh tickets for replies that are not there yet. Managers see which model said what in others'."""
        require_scope(request, Scope.ANNOTATE, Scope.READ, Scope.MANAGE)
        actor = _actor_of(request, conversation)
        return _answer(request, actor, get_conversation_for(actor, conversation))


class ConversationAction(APIView):
    """`POST conversations/{id}:{action}` by the person whose conversation it is."""

    shape: type[shapes.StrictSerializer] = shapes.TurnSerializer

    def act(self, request: Request, actor: Actor, conversation: Conversation, asked: dict[str, Any]) -> None:
        raise NotImplementedError

    def answer(self, request: Request, conversation: str) -> Response:
        require_scope(request, Scope.ANNOTATE)
        actor = _actor_of(request, conversation)
        shape = self.shape(data=request.data)
        shape.is_valid(raise_exception=True)
        found = get_conversation_for(actor, conversation)
        self.act(request, actor, found, shape.validated_data)
        return _answer(request, actor, found)


class Send(ConversationAction):
    shape = shapes.SendSerializer

    @extend_schema(request=shapes.SendSerializer, parameters=[IDEMPOTENCY], responses=shapes.ConversationSerializer)
    def post(self, request: Request, conversation: str) -> Response:
        """Say something. Each model's reply waits for whoever listens with its ticket; a retry with the same key says it once."""
        return self.answer(request, conversation)

    def act(self, request: Request, actor: Actor, conversation: Conversation, asked: dict[str, Any]) -> None:
        chat.send(
            actor=actor,
            conversation=conversation,
            key=request.headers.get("Idempotency-Key", ""),
            text=asked["text"],
            after=asked.get("after"),
            seen=asked.get("seen", chat.ANYTHING),
        )


class Choose(ConversationAction):
    shape = shapes.ChooseSerializer

    @extend_schema(request=shapes.ChooseSerializer, responses=shapes.ConversationSerializer)
    def post(self, request: Request, conversation: str) -> Response:
        """Which reply the conversation goes on from. It can change until the next message."""
        return self.answer(request, conversation)

    def act(self, request: Request, actor: Actor, conversation: Conversation, asked: dict[str, Any]) -> None:
        chat.choose(
            actor=actor,
            conversation=conversation,
            turn=asked["turn"],
            choice=asked["choice"],
            strength=asked["strength"],
            was=asked.get("was", chat.ANYTHING),
        )


class Stop(ConversationAction):
    @extend_schema(request=shapes.TurnSerializer, responses=shapes.ConversationSerializer)
    def post(self, request: Request, conversation: str) -> Response:
        """No more of the replies that are being written; what has come stays."""
        return self.answer(request, conversation)

    def act(self, request: Request, actor: Actor, conversation: Conversation, asked: dict[str, Any]) -> None:
        chat.stop(actor=actor, conversation=conversation, turn=asked["turn"])


class Retry(ConversationAction):
    @extend_schema(request=shapes.TurnSerializer, responses=shapes.ConversationSerializer)
    def post(self, request: Request, conversation: str) -> Response:
        """Have failed replies written anew."""
        return self.answer(request, conversation)

    def act(self, request: Request, actor: Actor, conversation: Conversation, asked: dict[str, Any]) -> None:
        chat.retry(actor=actor, conversation=conversation, turn=asked["turn"])


def _actor_of(request: Request, conversation: str) -> Actor:
    """The asker's actor in the conversation's project. Errors: NotFound, also when it exists elsewhere."""
    token = getattr(request, "auth", None)
    actors = Actor.objects.select_related("project", "membership")
    if isinstance(token, ApiToken):
        return token.actor
    actor = actors.filter(
        user=cast(User, request.user), membership__isnull=False, project__conversations__public_id=conversation
    ).first()
    if actor is None:
        raise NotFound("There is no such conversation here.")
    return actor


def _answer(request: Request, actor: Actor, conversation: Conversation) -> Response:
    # A browser tells the gateway where it comes from; any other client comes from nowhere.
    origin = "" if isinstance(request.auth, ApiToken) else origin_of(request)
    found = Conversation.objects.select_related("task__prompt", "actor").get(pk=conversation.pk)
    return Response(state_of(actor, found.task, found.question, found, origin=origin))
