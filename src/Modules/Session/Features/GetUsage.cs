using Dapper;

namespace VoicePlatform.Sessions.Features;

/// <summary>What the conversation used so far.</summary>
internal static class GetUsage
{
    public static void Map(RouteGroupBuilder sessions) => sessions
        .MapGet("/{id}/usage", async (string id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetUsage))
        .Produces<Response>();

    public sealed record Query(string TenantId, string SessionId) : IRequest<Result<Response>>;

    public sealed record Response(IReadOnlyList<Item> Data);

    public sealed record Item
    {
        public required string Component { get; init; }
        public required string Provider { get; init; }
        public required string Model { get; init; }
        public required string Unit { get; init; }
        public long Quantity { get; init; }
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
                "SELECT component, provider, model, unit, quantity FROM session.usage WHERE session_id = @SessionId ORDER BY component, provider, model",
                request, cancellationToken: cancellationToken));
            return new Response(rows.ToList());
        }
    }
}
