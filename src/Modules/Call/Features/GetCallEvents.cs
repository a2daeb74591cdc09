using Dapper;
using VoicePlatform.Calls.Data;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Calls.Features;

/// <summary>What happened to the call and in its conversation, in the order of time.</summary>
internal static class GetCallEvents
{
    public static void Map(RouteGroupBuilder calls) => calls
        .MapGet("/{id}/events", async (string id, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(GetCallEvents))
        .Produces<Response>();

    public sealed record Query(string TenantId, string CallId) : IRequest<Result<Response>>;

    public sealed record Response(IReadOnlyList<Item> Data);

    public sealed record Item
    {
        public DateTimeOffset At { get; init; }
        public required string Kind { get; init; }
        public required string Detail { get; init; }
    }

    internal sealed class Handler(CallDb db, UnitOfWork unit, IMediator mediator) : IRequestHandler<Query, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Query request, CancellationToken cancellationToken)
        {
            var call = await db.Calls.AsNoTracking().Where(c => c.Id == request.CallId && c.TenantId == request.TenantId).Select(c => new { c.SessionId }).SingleOrDefaultAsync(cancellationToken);
            if (call is null)
            {
                return CallErrors.NotFound;
            }

            var rows = (await (await unit.OpenAsync(cancellationToken)).QueryAsync<Item>(new(
                "SELECT at, kind, detail FROM call.events WHERE call_id = @CallId ORDER BY seq", request, cancellationToken: cancellationToken))).ToList();
            if (call.SessionId is { } sessionId && await mediator.Send(new ReadSession(sessionId), cancellationToken) is { IsOk: true } session)
            {
                rows.AddRange(session.Value.Notes.Select(n => new Item { At = n.At, Kind = n.Kind, Detail = n.Detail }));
            }

            return new Response(rows.OrderBy(r => r.At).ToList());
        }
    }
}
