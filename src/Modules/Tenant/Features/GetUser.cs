using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Features;

/// <summary>A person of the tenant.</summary>
internal static class GetUser
{
    public static void Map(RouteGroupBuilder users) => users
        .MapGet("/{id}", async (string id, HttpContext http, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Query(caller.TenantId, id), ct)).ToHttp(r => UserAnswer.Tell(r, http)))
        .WithName(nameof(GetUser))
        .Produces<UserView>();

    public sealed record Query(string TenantId, string UserId) : IRequest<Result<UserAnswer>>;

    internal sealed class Handler(TenantDb db) : IRequestHandler<Query, Result<UserAnswer>>
    {
        public async Task<Result<UserAnswer>> Handle(Query request, CancellationToken cancellationToken) =>
            await db.Users.AsNoTracking().SingleOrDefaultAsync(u => u.Id == request.UserId && u.TenantId == request.TenantId && u.DeletedAt == null, cancellationToken) is { } user
                ? UserAnswer.Of(user)
                : TenantErrors.UserNotFound;
    }
}
