using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks.Features;

/// <summary>A number and where its calls go.</summary>
internal static class GetNumber
{
    public static void Map(RouteGroupBuilder numbers) => numbers
        .MapGet("/{id}", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => NumberAnswer.Tell(r, http)))
        .WithName(nameof(GetNumber))
        .Produces<NumberView>();

    public sealed record Query(string TenantId, string NumberId) : IRequest<Result<NumberAnswer>>;

    internal sealed class Handler(TrunkDb db) : IRequestHandler<Query, Result<NumberAnswer>>
    {
        public async Task<Result<NumberAnswer>> Handle(Query request, CancellationToken cancellationToken) =>
            await db.Numbers.AsNoTracking().SingleOrDefaultAsync(n => n.Id == request.NumberId && n.TenantId == request.TenantId && n.DeletedAt == null, cancellationToken) is { } number
                ? NumberAnswer.Of(number)
                : TrunkErrors.NumberNotFound;
    }
}
