using VoicePlatform.Agent.Providers;
using VoicePlatform.Contracts.Agent;

namespace VoicePlatform.Agent.Answers;

internal sealed class FindProvidersHandler(ProviderCatalog providers, IMediator mediator) : IRequestHandler<FindProviders, Result<Done>>
{
    public async Task<Result<Done>> Handle(FindProviders request, CancellationToken cancellationToken)
    {
        var keys = await mediator.ReadAsync(request.TenantId, TenantKeys.Of(request.Assistant), cancellationToken);
        return providers.Lack(request.Assistant, keys, request.Voice) is { } lack ? lack : default(Done);
    }
}
