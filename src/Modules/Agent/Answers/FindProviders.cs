using VoicePlatform.Agent.Providers;
using VoicePlatform.Contracts.Agent;

namespace VoicePlatform.Agent.Answers;

internal sealed class FindProvidersHandler(ProviderCatalog providers) : IRequestHandler<FindProviders, Result<Done>>
{
    public Task<Result<Done>> Handle(FindProviders request, CancellationToken cancellationToken) =>
        Task.FromResult<Result<Done>>(providers.Lack(request.Assistant, request.Voice) is { } lack ? lack : default(Done));
}
