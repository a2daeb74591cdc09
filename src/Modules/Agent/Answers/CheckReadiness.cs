using Microsoft.Extensions.Options;
using VoicePlatform.Agent.Providers;
using VoicePlatform.Agent.Worker;
using VoicePlatform.Contracts.Agent;

namespace VoicePlatform.Agent.Answers;

internal sealed class CheckReadinessHandler(ProviderCatalog providers, ConversationRegistry running, IOptions<AgentOptions> options)
    : IRequestHandler<CheckReadiness, Result<Readiness>>
{
    private static readonly Error Full = new(ErrorKind.Unavailable, "agent.full", "As many conversations are running as this installation can hold.") { RetryAfter = TimeSpan.FromSeconds(10) };

    public Task<Result<Readiness>> Handle(CheckReadiness request, CancellationToken cancellationToken) => Task.FromResult(Check(request));

    private Result<Readiness> Check(CheckReadiness request) =>
        providers.Lack(request.Assistant, request.Voice) is { } lack ? lack
        : request.Voice && running.IsFull ? Full
        : new Readiness(options.Value.AgentName);
}
