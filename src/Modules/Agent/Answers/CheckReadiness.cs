using Microsoft.Extensions.Options;
using VoicePlatform.Agent.Providers;
using VoicePlatform.Agent.Worker;
using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Agent.Answers;

internal sealed class CheckReadinessHandler(ProviderCatalog providers, ConversationRegistry running, IOptions<AgentOptions> options)
    : IRequestHandler<CheckReadiness, Result<Readiness>>
{
    private static readonly Error Full = new(ErrorKind.Unavailable, "agent.full", "As many conversations are running as this installation can hold.") { RetryAfter = TimeSpan.FromSeconds(10) };

    public Task<Result<Readiness>> Handle(CheckReadiness request, CancellationToken cancellationToken) => Task.FromResult(Check(request));

    private Result<Readiness> Check(CheckReadiness request)
    {
        if (request.Assistant.Architecture is Architecture.Realtime or Architecture.HalfCascade)
        {
            return Error.Field("architecture", "provider_unknown", "This installation has no realtime provider.");
        }

        if (providers.Mind(request.Assistant, _ => { }).Error is { } mind)
        {
            return mind;
        }

        if (request.Voice)
        {
            if ((providers.Ears(request.Assistant).Error ?? providers.Voice(request.Assistant, _ => { }).Error) is { } speech)
            {
                return speech;
            }

            if (running.IsFull)
            {
                return Full;
            }
        }

        return new Readiness(options.Value.AgentName);
    }
}
