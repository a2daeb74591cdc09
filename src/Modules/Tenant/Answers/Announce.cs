using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Answers;

internal sealed class AnnounceHandler(EventLog events) : IRequestHandler<Announce, Result<Done>>
{
    public async Task<Result<Done>> Handle(Announce request, CancellationToken cancellationToken)
    {
        await events.AppendAsync(request, cancellationToken);
        return default(Done);
    }
}
