using Dapper;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Answers;

internal sealed class ReadSessionHandler(UnitOfWork unit) : IRequestHandler<ReadSession, Result<SessionRecord>>
{
    public async Task<Result<SessionRecord>> Handle(ReadSession request, CancellationToken cancellationToken)
    {
        var lines = await unit.LinesAsync(request.SessionId, cancellationToken);
        var usage = await unit.UsageAsync(request.SessionId, cancellationToken);
        var notes = await unit.Connection.QueryAsync<Row>(new(
            "SELECT at, kind, detail FROM session.events WHERE session_id = @SessionId ORDER BY seq", request, unit.Transaction, cancellationToken: cancellationToken));
        return new SessionRecord(
            lines.ConvertAll(l => l.ToSpoken()), usage.ConvertAll(u => u.ToTotal()), notes.Select(n => new SessionNote(n.At, n.Kind, n.Detail)).ToList());
    }

    private sealed record Row
    {
        public DateTimeOffset At { get; init; }
        public required string Kind { get; init; }
        public required string Detail { get; init; }
    }
}
