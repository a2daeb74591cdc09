using Dapper;

namespace VoicePlatform.Sessions.Features;

/// <summary>What was said and heard, in order.</summary>
internal static class GetTranscript
{
    public static void Map(RouteGroupBuilder sessions) => sessions
        .MapGet("/{id}/transcript", async (string id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetTranscript))
        .Produces<Response>();

    public sealed record Query(string TenantId, string SessionId) : IRequest<Result<Response>>;

    public sealed record Response(IReadOnlyList<Item> Data);

    public sealed record Item
    {
        public required string Speaker { get; init; }
        public required string Text { get; init; }
        public DateTimeOffset StartedAt { get; init; }
        public DateTimeOffset EndedAt { get; init; }
        public bool Interrupted { get; init; }
        public int Turn { get; init; }
    }

    internal sealed class Handler(UnitOfWork unit) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            var connection = await unit.OpenAsync(cancellationToken);
            if (!await connection.ExecuteScalarAsync<bool>(new(
                "SELECT EXISTS (SELECT FROM session.sessions WHERE id = @SessionId AND tenant_id = @TenantId)", request, cancellationToken: cancellationToken)))
            {
                return SessionErrors.NotFound;
            }

            var rows = await connection.QueryAsync<Item>(new(
                "SELECT speaker, text, started_at, ended_at, interrupted, turn FROM session.lines WHERE session_id = @SessionId ORDER BY seq",
                request, cancellationToken: cancellationToken));
            return new Response(rows.ToList());
        }
    }
}
