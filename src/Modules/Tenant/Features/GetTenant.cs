using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>A tenant as the API shows it.</summary>
internal sealed record TenantView(string Id, string Name, string? ContactEmail, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    public static TenantView Of(Data.Tenant t) => new(t.Id, t.Name, t.ContactEmail, t.CreatedAt, t.UpdatedAt);
}

/// <summary>A tenant with the revision that its entity tag tells.</summary>
internal sealed record TenantAnswer(TenantView Tenant, int Revision)
{
    public static TenantAnswer Of(Data.Tenant t) => new(TenantView.Of(t), t.Revision);

    public static IResult Tell(TenantAnswer answer, HttpContext http) =>
        Etag.Answer(http, answer.Tenant, answer.Revision, StatusCodes.Status200OK, "/v1/tenant");
}

/// <summary>The tenant that the key belongs to.</summary>
internal static class GetTenant
{
    public static void Map(RouteGroupBuilder tenant) => tenant
        .MapGet("/", async (HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId), ct)).ToHttp(r => TenantAnswer.Tell(r, http)))
        .WithName(nameof(GetTenant))
        .Produces<TenantView>();

    public sealed record Query(string TenantId) : IRequest<Result<TenantAnswer>>;

    internal sealed class Handler(TenantDb db) : IRequestHandler<Query, Result<TenantAnswer>>
    {
        public async Task<Result<TenantAnswer>> Handle(Query request, CancellationToken cancellationToken) =>
            await db.Tenants.AsNoTracking().SingleOrDefaultAsync(t => t.Id == request.TenantId, cancellationToken) is { } tenant ? TenantAnswer.Of(tenant) : TenantErrors.NotFound;
    }
}
