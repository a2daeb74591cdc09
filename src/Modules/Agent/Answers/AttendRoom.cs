using VoicePlatform.Agent.Worker;
using VoicePlatform.Contracts.Agent;

namespace VoicePlatform.Agent.Answers;

internal sealed class AttendRoomHandler(HandedRooms rooms) : IRequestHandler<AttendRoom, Result<Done>>
{
    private static readonly Error Full = new(ErrorKind.Unavailable, "agent.full", "As many conversations are running as this installation can hold.") { RetryAfter = TimeSpan.FromSeconds(10) };

    public Task<Result<Done>> Handle(AttendRoom request, CancellationToken cancellationToken)
    {
        var url = request.Url.StartsWith("http", StringComparison.OrdinalIgnoreCase) ? "ws" + request.Url["http".Length..] : request.Url;
        return Task.FromResult<Result<Done>>(rooms.TryAttend(request.SessionId, url, request.Token) ? default(Done) : Full);
    }
}
