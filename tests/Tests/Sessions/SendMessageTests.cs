using MediatR;
using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.SharedKernel;
using VoicePlatform.Sessions;
using VoicePlatform.Sessions.Features;

namespace VoicePlatform.Tests.Sessions;

internal sealed class SendMessageTests
{
    [Test]
    public void A_turn_that_fails_as_nobody_foresaw_leaves_the_session_free()
    {
        var mediator = new FailingMind();
        var handler = new SendMessage.Handler(mediator, TimeProvider.System);

        Assert.ThrowsAsync<InvalidOperationException>(() => handler.Handle(new TextTurn("ses1", "Hi"), CancellationToken.None));
        Assert.That(mediator.Ended, Is.EqualTo(1));
    }

    private sealed class FailingMind : IMediator
    {
        public int Ended { get; private set; }

        public Task<TResponse> Send<TResponse>(IRequest<TResponse> request, CancellationToken cancellationToken = default)
        {
            switch (request)
            {
                case SendMessage.BeginTurn:
                    return Task.FromResult((TResponse)(object)(Result<SendMessage.OpenTurn>)new SendMessage.OpenTurn(
                        "ses1", "ten1", 1, 1, new AssistantDocument { Name = "A" }, new Dictionary<string, string>(), [], "ast1", []));
                case AnswerInText:
                    throw new InvalidOperationException("a mistake of ours");
                case SendMessage.EndTurn { Answer: null }:
                    Ended++;
                    return Task.FromResult((TResponse)(object)(Result<SendMessage.EndedTurn>)new SendMessage.EndedTurn(IsOver: false));
                default:
                    throw new NotSupportedException(request.GetType().Name);
            }
        }

        public Task<object> Send(object request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public Task Publish(object notification, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public Task Publish<TNotification>(TNotification notification, CancellationToken cancellationToken = default)
            where TNotification : INotification => throw new NotSupportedException();
    }
}
