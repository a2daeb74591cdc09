using Dapper;

namespace VoicePlatform.Sessions.Features;

/// <summary>What is worth knowing about the conversation: unknown variables, interruptions, providers that failed.</summary>
internal static class GetNotes
{
    public static void Map(RouteGroupBuilder sessions) => sessions
        .MapGet("/{id}/events", async (string id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetNotes))
        .Produces<Response>();

    public sealed record Query(string TenantId, string SessionId) : IRequest<Result<Response>>;

    public sealed record Response(IReadOnlyList<Item> Data);

    public sealed record Item
    {
        public DateTimeOffset At { get; init; }
        public required string Kind { get; init; }
        public required string Detail { get; init; }
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
                "SELECT at, kind, detail FROM session.events WHERE session_id = @SessionId ORDER BY seq",
                request, cancellationToken: cancellationToken));
            return new Response(rows.ToList());
        }
    }
}
